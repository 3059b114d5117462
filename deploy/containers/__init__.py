"""Container images, and the setup and checks of docker-compose.yml."""
