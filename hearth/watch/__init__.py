"""Check hosts daily from the deploying computer, repair them if asked to, and send what was found: `hearth watch`."""
