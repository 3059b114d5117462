"""Use cases of the gateway, by module. Every other operation is translated from REST to gRPC in `entrypoints/rest`.

- accounts: sign_up, confirm_email, delete_account, finish_interrupted_accounts
- active_banks: ActiveBanks
- avatars: set_avatar, get_avatar, delete_avatar, delete_orphaned_avatars
- catalog_pictures: set_picture, get_picture, delete_orphaned_pictures
- order_checks: save_check, get_basket, confirm_check
- passwords: sign_in, refresh_session, sign_out, change_password, reset_password
- provider_sign_in: sign_in_with_provider
- profiles: get_profile, update_profile, list_accounts, set_role, verify_email, set_disabled
- reauthentication: check_password, require_recent_sign_in
- token_revocations: RevokedTokens
- verification_codes: request_code, request_email_change, send_requested_codes

`ports` defines the interfaces that the adapters implement.
"""
