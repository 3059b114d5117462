/** Fields of the forms of an account: creation, profile and passwords. */
import type { Schemas } from "../../shared/api";
import { shared } from "../../shared/messages";
import { TextField } from "../../shared/ui";
import { m } from "../messages";

/** The fields of names and telephone number, with the values of a user who exists. */
export function PersonFields({ user }: { user?: Schemas["User"] }) {
  return (
    <>
      <TextField
        name="first_name"
        label={m.firstName}
        autoComplete="given-name"
        maxLength={100}
        defaultValue={user?.first_name ?? ""}
        isRequired
      />
      <TextField
        name="last_name"
        label={m.lastName}
        autoComplete="family-name"
        maxLength={100}
        defaultValue={user?.last_name ?? ""}
        isRequired
      />
      <TextField
        name="phone"
        type="tel"
        label={m.phone}
        description={m.phoneHint}
        autoComplete="tel"
        defaultValue={user?.phone ?? ""}
      />
    </>
  );
}

export function EmailField({ label = shared.email }: { label?: string }) {
  return <TextField name="email" type="email" label={label} autoComplete="email" isRequired />;
}

export function CodeField() {
  return <TextField name="code" label={m.code} autoComplete="one-time-code" isRequired />;
}

export function CurrentPasswordField({ name = "password", label = shared.password }: { name?: string; label?: string }) {
  return <TextField name={name} type="password" label={label} autoComplete="current-password" isRequired />;
}

export function NewPasswordField({ name = "password", label = m.newPassword }: { name?: string; label?: string }) {
  return (
    <TextField
      name={name}
      type="password"
      label={label}
      description={m.passwordHint}
      autoComplete="new-password"
      minLength={8}
      maxLength={128}
      isRequired
    />
  );
}
