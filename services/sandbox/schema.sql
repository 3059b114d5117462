-- State of the sandbox. Triggers limit the size of growing tables by deleting the oldest rows.

CREATE TABLE IF NOT EXISTS accounts (
    local_id TEXT PRIMARY KEY, email TEXT NOT NULL UNIQUE, email_verified INTEGER NOT NULL DEFAULT 0, password TEXT,
    display_name TEXT, disabled INTEGER NOT NULL DEFAULT 0, custom_attributes TEXT NOT NULL DEFAULT '{}',
    valid_since INTEGER NOT NULL, created_at INTEGER NOT NULL, last_login_at INTEGER, password_updated_at INTEGER);
CREATE TABLE IF NOT EXISTS refresh_tokens (
    id INTEGER PRIMARY KEY AUTOINCREMENT, hash TEXT NOT NULL UNIQUE, local_id TEXT NOT NULL, auth_time INTEGER NOT NULL,
    revoked INTEGER NOT NULL DEFAULT 0);
CREATE INDEX IF NOT EXISTS refresh_tokens_by_account ON refresh_tokens (local_id);
CREATE TRIGGER IF NOT EXISTS refresh_tokens_bound AFTER INSERT ON refresh_tokens
    BEGIN DELETE FROM refresh_tokens WHERE id <= NEW.id - 100000; END;
CREATE TABLE IF NOT EXISTS codes (
    id INTEGER PRIMARY KEY AUTOINCREMENT, hash TEXT NOT NULL UNIQUE, local_id TEXT NOT NULL, kind TEXT NOT NULL, new_email TEXT,
    expires_at INTEGER NOT NULL);
CREATE TRIGGER IF NOT EXISTS codes_bound AFTER INSERT ON codes BEGIN DELETE FROM codes WHERE id <= NEW.id - 10000; END;

CREATE TABLE IF NOT EXISTS provider_identities (
    provider TEXT NOT NULL, subject TEXT NOT NULL, local_id TEXT NOT NULL, PRIMARY KEY (provider, subject));

CREATE TABLE IF NOT EXISTS secrets (owner TEXT PRIMARY KEY, secret TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS faults (target TEXT PRIMARY KEY, mode TEXT NOT NULL, remaining INTEGER);

CREATE TABLE IF NOT EXISTS payments (
    id INTEGER PRIMARY KEY AUTOINCREMENT, bank_id TEXT NOT NULL, payment_id TEXT NOT NULL UNIQUE, order_id TEXT NOT NULL,
    captured INTEGER NOT NULL, refunded INTEGER NOT NULL DEFAULT 0, currency TEXT NOT NULL, outcome TEXT NOT NULL,
    at TEXT NOT NULL, callbacks TEXT NOT NULL DEFAULT '[]');
CREATE INDEX IF NOT EXISTS payments_by_order ON payments (bank_id, order_id);
CREATE TRIGGER IF NOT EXISTS payments_bound AFTER INSERT ON payments BEGIN DELETE FROM payments WHERE id <= NEW.id - 100000; END;
CREATE TABLE IF NOT EXISTS refunds (
    id INTEGER PRIMARY KEY AUTOINCREMENT, bank_id TEXT NOT NULL, refund_id TEXT NOT NULL, payment_id TEXT NOT NULL,
    amount INTEGER NOT NULL, currency TEXT NOT NULL, UNIQUE (bank_id, refund_id));
CREATE TRIGGER IF NOT EXISTS refunds_bound AFTER INSERT ON refunds BEGIN DELETE FROM refunds WHERE id <= NEW.id - 100000; END;

CREATE TABLE IF NOT EXISTS partner_calls (
    id INTEGER PRIMARY KEY AUTOINCREMENT, partner_id INTEGER NOT NULL, webhook_id TEXT NOT NULL, kind TEXT NOT NULL,
    order_id TEXT NOT NULL, received_at TEXT NOT NULL, times_received INTEGER NOT NULL DEFAULT 1,
    signature_valid INTEGER NOT NULL, body TEXT NOT NULL);
CREATE UNIQUE INDEX IF NOT EXISTS partner_calls_unique ON partner_calls (partner_id, webhook_id, signature_valid, body);
CREATE TRIGGER IF NOT EXISTS partner_calls_bound AFTER INSERT ON partner_calls
    BEGIN DELETE FROM partner_calls WHERE id <= NEW.id - 20000; END;
CREATE TABLE IF NOT EXISTS partner_orders (
    id INTEGER PRIMARY KEY AUTOINCREMENT, partner_id INTEGER NOT NULL, order_id TEXT NOT NULL, items TEXT NOT NULL,
    callback_url TEXT NOT NULL, received_at TEXT NOT NULL, cancelled INTEGER NOT NULL DEFAULT 0,
    callback_response TEXT, UNIQUE (partner_id, order_id));
CREATE TRIGGER IF NOT EXISTS partner_orders_bound AFTER INSERT ON partner_orders
    BEGIN DELETE FROM partner_orders WHERE id <= NEW.id - 10000; END;

CREATE TABLE IF NOT EXISTS messages (
    id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, token TEXT NOT NULL, collapse TEXT, title TEXT NOT NULL,
    body TEXT NOT NULL, data TEXT NOT NULL, received_at TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS messages_by_device ON messages (token, collapse);
CREATE TRIGGER IF NOT EXISTS messages_bound AFTER INSERT ON messages BEGIN DELETE FROM messages WHERE id <= NEW.id - 20000; END;
CREATE TABLE IF NOT EXISTS mails (
    id INTEGER PRIMARY KEY AUTOINCREMENT, address TEXT NOT NULL, subject TEXT NOT NULL, text TEXT NOT NULL, html TEXT NOT NULL,
    received_at TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS mails_by_address ON mails (address);
CREATE TRIGGER IF NOT EXISTS mails_bound AFTER INSERT ON mails BEGIN DELETE FROM mails WHERE id <= NEW.id - 10000; END;
