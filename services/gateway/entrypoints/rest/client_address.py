"""Client address of a request, from X-Forwarded-For."""

import ipaddress


def parse_client_address(forwarded_for: str, trusted_hops: int) -> str:
    """Return the client address that the outermost trusted proxy appended to X-Forwarded-For; "unknown" if invalid.

    Entries to its left are supplied by the client and cannot be trusted. An IPv6 address is returned as its /64 prefix,
    which one subscriber typically controls as a whole.
    """
    entries = [part.strip() for part in forwarded_for.split(",") if part.strip()]
    if not entries:
        return "unknown"
    entry = entries[max(0, len(entries) - 1 - trusted_hops)]
    try:
        address = ipaddress.ip_address(entry)
    except ValueError:
        return "unknown"
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped:
            return str(address.ipv4_mapped)
        return str(ipaddress.ip_network((address, 64), strict=False))
    return str(address)
