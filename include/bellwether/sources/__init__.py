"""Where data comes from: transport and decoding of the vendor's answers.

This room turns requests into typed Arrow tables or typed errors. It knows nothing of sessions, of the
lake, or of who asks.
"""
