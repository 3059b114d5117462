// Users of MongoDB, each with rights on the database of its service only; the arguments are JSON.
db.getSiblingDB("orders").createUser({"user": "orders", "pwd": "local", "roles": ["readWrite"]});
db.getSiblingDB("notifications").createUser({"user": "notifications", "pwd": "local", "roles": ["readWrite"]});
