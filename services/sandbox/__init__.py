"""The outside world, played on one machine: the identity provider, banks, partners' kitchens, phones and the mail.

One process with two doors, HTTP and SMTP. It speaks the third parties' own protocols, shares no code with the services,
and keeps what it knows in one SQLite file, so that accounts and money survive a restart. Never for production.
"""
