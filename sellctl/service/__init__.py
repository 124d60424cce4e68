"""The process around the core: state folder, logging, notifications, reload, doctor, systemd."""
