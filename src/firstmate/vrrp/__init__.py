"""The election: pure, on time. Bytes and events in, actions out; `router.Router` is the way in."""
