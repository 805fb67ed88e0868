"""Settings to files: compose.yaml, httpd.conf, the chat page."""
