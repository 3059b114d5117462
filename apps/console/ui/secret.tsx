/** Webhook secrets, which the API returns once. */
import { useState } from "react";

import { unwrap } from "../../shared/api";
import { Button, Dialog, Form } from "../../shared/ui";
import { messages } from "../messages";
import { useIdempotencyKeys } from "./idempotency";

/** Shows a secret until the dialog is closed; the console does not store it. */
export function SecretDialog({ secret, onClose }: { secret: string | undefined; onClose: () => void }) {
  const [isCopied, setIsCopied] = useState(false);
  const copy = async (): Promise<void> => {
    await navigator.clipboard.writeText(secret ?? "");
    setIsCopied(true);
  };
  return (
    <Dialog title={messages.secret} isOpen={secret !== undefined} onClose={onClose} isPersistent>
      <p>{messages.secretOnce}</p>
      <p>
        <code>{secret}</code>
      </p>
      <Button onPress={() => void copy()}>{messages.copy}</Button>
      <p role="status">{isCopied && messages.copied}</p>
    </Dialog>
  );
}

export interface RotateSecretProps {
  rotate: (
    idempotencyKey: string,
  ) => Promise<{ data?: { webhook_secret: string }; error?: unknown; response: Response }>;
}

/** Button for a new secret, which is then shown. */
export function RotateSecret({ rotate }: RotateSecretProps) {
  const keys = useIdempotencyKeys();
  const [secret, setSecret] = useState<string>();
  return (
    <section>
      <h2>{messages.secret}</h2>
      <p>{messages.newSecretHint}</p>
      <Form
        action={messages.newSecret}
        onSubmit={() => unwrap(rotate(keys.get()))}
        onSuccess={({ webhook_secret }) => {
          keys.complete();
          setSecret(webhook_secret);
        }}
      />
      <SecretDialog secret={secret} onClose={() => setSecret(undefined)} />
    </section>
  );
}
