"""patchbench: does an AI agent's performance patch really make an inference engine faster?"""

__version__ = "0.1.0"
