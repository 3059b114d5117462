"""Use cases of the notifications service:

- contacts.upsert_contact, contacts.delete_contact: store and delete the contact data of a user
- enqueue.enqueue_notification, enqueue.enqueue_mail: render a notification or a mail and queue its delivery
- deliver.deliver: run one delivery step of a queued job
- agents.create_agent, agents.list_agents, agents.get_agent, agents.update_agent: manage notification agents
- history.list_for_user, history.list_all: list past notifications
"""
