"""Ask over HTTP and on a page: an OpenAI-compatible API in front of one engine and one sandbox."""
