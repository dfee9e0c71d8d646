"""The shell of Belay: settings, servers, processes. It knows every app; no app knows it."""
