"""The stages aggregate and render_report: tables, counts, text, figures and the page."""
