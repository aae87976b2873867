"""`python -m tinyserve` starts the HTTP server."""

from tinyserve.server import main

if __name__ == "__main__":
    main()
