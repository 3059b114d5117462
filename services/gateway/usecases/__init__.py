"""What the gateway does itself, each as one function; all else it only passes on:

- accounts: sign_up, confirm, delete, sweep: an account's life, from half made to gone
- codes: ask, mail_codes, use: what is proved by reading a mail
- sessions: sign_in, refresh, sign_out, change_password, reset_password
- profiles: get, update, find, set_role, put_avatar, get_avatar, delete_avatar
- product_pictures: put, get, sweep: what products look like
- ports: what these need of the outside
"""
