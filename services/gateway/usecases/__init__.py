"""Use cases of the gateway; every other operation is translated from REST to gRPC in `entrypoints/rest`.

- accounts: sign_up, confirm_email, delete_account, finish_interrupted_accounts
- passwords: sign_in, sign_out, change_password, reset_password
- verification_codes: request_code, send_requested_codes
- profiles: get_profile, update_profile, list_accounts, set_role
- avatars: set_avatar, get_avatar, delete_avatar, delete_orphaned_avatars
- product_images: set_product_image, get_product_image, delete_orphaned_product_images
- order_checks: save_check, load_basket
- ports: protocols of the outbound adapters
"""
