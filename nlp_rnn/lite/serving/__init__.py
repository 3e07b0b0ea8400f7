"""Answering over HTTP: trained models as a server of JSON, with torch or without.

A pipeline of either kind is served, see `Pipeline` in `served`. FastAPI and uvicorn, the extra `serve`, are
imported here only, and when a server starts.
"""
