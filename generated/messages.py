"""Written by `make generate` from api-specs/messages.yaml. Do not edit."""

from collections.abc import Mapping

FORMATS: Mapping[str, str] = {"total_amount": "amount", "opens_at": "local_time"}
"""Formats of members of errors by name."""

NAMES: Mapping[str, Mapping[str, Mapping[str, str]]] = {
    "de": {
        "order_status": {
            "pending": "offen",
            "paid": "bezahlt",
            "ready": "abholbereit",
            "delivering": "unterwegs",
            "delivered": "geliefert",
            "cancelled": "storniert",
            "expired": "abgelaufen",
        }
    }
}
"""Names of values by language, member and value."""

MESSAGES: Mapping[str, Mapping[str, str]] = {
    "de": {
        "is not available at this partner": "ist bei diesem Partner nicht verfügbar",
        "is sold in {0}": "wird in {0} verkauft",
        "does not match the partner's current prices": "entspricht nicht den aktuellen Preisen des Partners",
        "is not a currency of ISO 4217": "ist keine Währung nach ISO 4217",
        "is not a known status": "ist kein bekannter Status",
        "is not a day of the week": "ist kein Wochentag",
        "is not a known order": "ist keine bekannte Sortierung",
        "differs from the currency of the delivery fee, {0}": "weicht von der Währung der Liefergebühr ab, {0}",
        "is not a known reason": "ist kein bekannter Grund",
        "is a duplicate product": "kommt mehrfach vor",
        "is already in the basket": "ist bereits im Warenkorb",
        "is longer than {0} characters": "ist länger als {0} Zeichen",
        "must be 1 to {0} characters without control characters": "muss 1 bis {0} Zeichen ohne Steuerzeichen haben",
        "must be the key file of a service account": "muss die Schlüsseldatei eines Dienstkontos sein",
        "must contain an RSA key": "muss einen RSA-Schlüssel enthalten",
        "must contain an elliptic curve key on P-256": "muss einen EC-Schlüssel auf P-256 enthalten",
        "must be 1 to {0}": "muss zwischen 1 und {0} liegen",
        "must contain at least one provider and no duplicates": "muss mindestens einen Anbieter und keinen doppelt enthalten",
        "must be a path of the public API": "muss ein Pfad der öffentlichen API sein",
        "must be a time HH:MM": "muss eine Uhrzeit HH:MM sein",
        "Too many concurrent uploads.": "Zurzeit werden zu viele Bilder hochgeladen.",
        "The partner does not sell this product.": "Der Partner verkauft dieses Produkt nicht.",
        "The refund has been made.": "Die Erstattung ist bereits erfolgt.",
        "Only a failed refund can be settled.": "Nur eine fehlgeschlagene Erstattung kann als erledigt gelten.",
        "This form of e-mail address is not supported. Use an address without quotation marks and brackets.": "Diese Form einer E-Mail-Adresse wird nicht unterstützt. Verwenden Sie eine Adresse ohne Anführungszeichen und Klammern.",
    }
}
"""Messages by language and English message, both with placeholders."""
