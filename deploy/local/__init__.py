"""Local runner: servers, sandbox, services and sidecars of one machine as child processes of a supervisor."""
