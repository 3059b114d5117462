"""What notifications can do, each as one function:

- users.remember, users.forget: where a user is reached, and that nothing personal stays
- intake.tell, intake.mail: something that happened becomes a notification, or a mail, on its way
- dispatch.deliver: one step of that way, and what came of it
- agents.create, agents.find, agents.read, agents.update: who sends
- history.mine, history.everybodys: what came of it
"""
