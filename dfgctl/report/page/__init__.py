"""The page of ``dfgctl report``: all that a registry can show, in one file of its own."""
