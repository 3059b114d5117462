"""Use cases of notifications, by module.

- agents: create_agent, list_agents, get_agent, update_agent
- contacts: upsert_contact, delete_contact
- devices: list_devices, register_device, remove_device
- deliver: deliver, fail_undecodable_job
- delivery_jobs: DeliveryJobs
- enqueue: enqueue_notification, enqueue_mail
- history: list_for_user, list_all

`ports` defines the interfaces that the adapters implement.
"""
