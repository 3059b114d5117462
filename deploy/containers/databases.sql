CREATE ROLE gateway LOGIN PASSWORD 'local';
CREATE ROLE orders LOGIN PASSWORD 'local';
CREATE ROLE partners LOGIN PASSWORD 'local';
CREATE ROLE notifications LOGIN PASSWORD 'local';
CREATE DATABASE gateway OWNER gateway;
CREATE DATABASE orders OWNER orders;
CREATE DATABASE partners OWNER partners;
CREATE DATABASE notifications OWNER notifications;
