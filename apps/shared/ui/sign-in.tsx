/** Sign-in and sign-out. */
import { useNavigate } from "@tanstack/react-router";

import { delivery, unwrap } from "../api";
import { shared } from "../messages";
import { getSession, setSession } from "../session";
import { Button } from "./button";
import { TextField } from "./fields";
import { Form } from "./form";

/** The form of e-mail address and password. `onSignIn` is called after the session is stored. */
export function SignInForm({ onSignIn }: { onSignIn?: () => void }) {
  return (
    <Form
      action={shared.signIn}
      onSubmit={async ({ email = "", password = "" }) => {
        setSession(await unwrap(delivery.POST("/sessions", { body: { email, password } })));
      }}
      onSuccess={onSignIn}
    >
      <TextField name="email" type="email" label={shared.email} autoComplete="username" isRequired />
      <TextField name="password" type="password" label={shared.password} autoComplete="current-password" isRequired />
    </Form>
  );
}

/** Ends the session. The server ends all sessions of the account; without it, the session ends on this device only. */
export async function signOut(): Promise<void> {
  const session = getSession();
  if (session === undefined) return;
  try {
    await delivery.DELETE("/sessions");
  } finally {
    setSession(undefined);
  }
}

export function SignOutButton() {
  const navigate = useNavigate();
  return (
    <Button kind="plain" onPress={() => void signOut().finally(() => void navigate({ to: "/" }))}>
      {shared.signOut}
    </Button>
  );
}
