/** Profile: personal data, picture, devices, e-mail address, password, and deletion of the account. */
import { useQuery } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { useEffect, useState } from "react";
import { FileTrigger } from "react-aria-components";

import { delivery, queryClient, type Schemas, unwrap } from "../../shared/api";
import { useConfig } from "../../shared/config";
import { device, isPushSupported, registerDevice } from "../../shared/push";
import { session } from "../../shared/session";
import {
  Button,
  Dialog,
  ErrorMessage,
  Form,
  Page,
  QueryView,
  RequireSession,
  SignOutButton,
  TextField,
  useAction,
  type Values,
} from "../../shared/ui";
import { m } from "../messages";
import { devicesQuery, profileQuery } from "../queries";
import { CurrentPasswordField, EmailField, NewPasswordField, PersonFields } from "../ui/account-fields";
import { SignInFooter } from "./sign-in";

type User = Schemas["User"];

export function ProfilePage() {
  return (
    <RequireSession footer={<SignInFooter />}>
      <Page title={m.profile}>
        <Profile />
      </Page>
    </RequireSession>
  );
}

function Profile() {
  const profile = useQuery(profileQuery);
  const [isSaved, setSaved] = useState(false);
  return (
    <QueryView query={profile}>
      {({ user, etag }) => (
        <div className="columns">
          <section>
            <p>
              {user.email} {!user.email_verified && <span className="dim">({m.emailUnverified})</span>}
            </p>
            <SignOutButton />
            <Avatar user={user} />
            {/* Another version has other values, also when another device has made the change. */}
            <PersonalData key={etag} user={user} etag={etag} onSaved={setSaved} />
            {isSaved && <p role="status">{m.saved}</p>}
          </section>
          <section>
            <Devices />
            <Credentials user={user} />
            <DeleteAccount user={user} />
          </section>
        </div>
      )}
    </QueryView>
  );
}

interface PersonalDataProps {
  user: User;
  etag: string | undefined;
  onSaved: (isSaved: boolean) => void;
}

function PersonalData({ user, etag, onSaved }: PersonalDataProps) {
  return (
    <>
      <h2>{m.personalData}</h2>
      <Form
        action={m.save}
        onSubmit={async (values) => {
          onSaved(false);
          const header = etag === undefined ? {} : { "If-Match": etag };
          await unwrap(delivery.PATCH("/users/me", { params: { header }, body: toPatch(values) }));
        }}
        onSuccess={() => {
          onSaved(true);
          void queryClient.invalidateQueries({ queryKey: profileQuery.queryKey });
        }}
      >
        <PersonFields user={user} />
        <TextField name="birth_date" type="date" label={m.birthDate} autoComplete="bday" defaultValue={user.birth_date ?? ""} />
      </Form>
    </>
  );
}

/** Returns the merge patch of the form, in which an empty value removes the field. */
function toPatch({ first_name = "", last_name = "", phone, birth_date }: Values): Schemas["ProfilePatch"] {
  return { first_name, last_name, phone: phone ?? null, birth_date: birth_date ?? null };
}

function Avatar({ user }: { user: User }) {
  const [url, setUrl] = useState<string>();
  useEffect(() => {
    if (user.avatar_url === undefined) return undefined;
    let objectUrl: string | undefined;
    let isCurrent = true;
    const load = async (): Promise<void> => {
      const { data } = await delivery.GET("/users/me/avatar", { parseAs: "blob" });
      if (data === undefined || !isCurrent) return;
      objectUrl = URL.createObjectURL(data as unknown as Blob);
      setUrl(objectUrl);
    };
    // A profile without its picture is usable, so a failed request is ignored.
    load().catch(() => undefined);
    return () => {
      isCurrent = false;
      setUrl(undefined);
      if (objectUrl !== undefined) URL.revokeObjectURL(objectUrl);
    };
  }, [user.avatar_url]);
  const onSuccess = (): Promise<void> => queryClient.invalidateQueries({ queryKey: profileQuery.queryKey });
  const upload = useAction({ mutationFn: putAvatar, onSuccess });
  const remove = useAction({ mutationFn: () => unwrap(delivery.DELETE("/users/me/avatar")), onSuccess });
  return (
    <>
      <h2>{m.avatar}</h2>
      {url !== undefined && <img className="avatar" src={url} alt={m.avatarOf} width="96" height="96" />}
      <div className="buttons">
        <FileTrigger
          acceptedFileTypes={["image/png", "image/jpeg", "image/webp"]}
          onSelect={(files) => files?.[0] !== undefined && upload.run(files[0])}
        >
          <Button isPending={upload.isPending}>{m.uploadAvatar}</Button>
        </FileTrigger>
        {user.avatar_url !== undefined && (
          <Button kind="plain" isPending={remove.isPending} onPress={() => remove.run()}>
            {m.removeAvatar}
          </Button>
        )}
      </div>
      <ErrorMessage error={upload.error ?? remove.error} />
    </>
  );
}

function putAvatar(file: File): Promise<User> {
  return unwrap(
    delivery.PUT("/users/me/avatar", {
      // The type of a file in the generated types is string.
      body: { avatar: file as unknown as string },
      bodySerializer: () => {
        const form = new FormData();
        form.append("avatar", file);
        return form;
      },
    }),
  );
}

function Devices() {
  const config = useConfig();
  const current = device.use();
  const devices = useQuery(devicesQuery);
  const onSuccess = (): Promise<void> => queryClient.invalidateQueries({ queryKey: devicesQuery.queryKey });
  const register = useAction({ mutationFn: registerDevice, onSuccess });
  const remove = useAction({
    mutationFn: async (id: string) => {
      await unwrap(delivery.DELETE("/users/me/devices/{device_id}", { params: { path: { device_id: id } } }));
      if (current?.id === id) device.set({ token: current.token });
    },
    onSuccess,
  });
  const isDenied = register.isSuccess && Notification.permission !== "granted";
  return (
    <>
      <h2>{m.devices}</h2>
      <QueryView query={devices}>
        {(items) =>
          items.length === 0 ? (
            <p className="dim">{m.noDevices}</p>
          ) : (
            <ul className="list">
              {items.map(({ id, name = m.unnamedDevice }) => (
                <li key={id} className="card row">
                  {name}
                  <Button
                    kind="plain"
                    aria-label={m.removeProduct(name)}
                    isPending={remove.isPending && remove.variables === id}
                    onPress={() => remove.run(id)}
                  >
                    {m.remove}
                  </Button>
                </li>
              ))}
            </ul>
          )
        }
      </QueryView>
      <div className="buttons">
        {isPushSupported(config) && current?.id === undefined && (
          <Button isPending={register.isPending} onPress={() => register.run()}>
            {m.registerDevice}
          </Button>
        )}
        {config.devices_url !== undefined && current !== undefined && (
          <a href={`${config.devices_url}?token=${encodeURIComponent(current.token)}`} target="_blank" rel="noreferrer">
            {m.openDevice}
          </a>
        )}
      </div>
      {isDenied && <p role="status">{m.notificationsDenied}</p>}
      <ErrorMessage error={register.error ?? remove.error} />
    </>
  );
}

function Credentials({ user }: { user: User }) {
  const navigate = useNavigate();
  return (
    <>
      <h2>{m.changeEmail}</h2>
      <Form
        action={m.changeEmail}
        onSubmit={({ email = "", password = "" }) =>
          unwrap(delivery.POST("/users/me/email", { body: { email, password } }))
        }
        onSuccess={() => void navigate({ to: "/confirm" })}
      >
        <EmailField label={m.newEmail} />
        <CurrentPasswordField />
      </Form>
      <h2>{m.changePassword}</h2>
      <Form
        action={m.changePassword}
        onSubmit={async ({ old_password = "", new_password = "" }) => {
          await unwrap(delivery.PUT("/users/me/password", { body: { old_password, new_password } }));
          // The change ends all sessions; this device continues with a new one.
          session.set(await unwrap(delivery.POST("/sessions", { body: { email: user.email, password: new_password } })));
        }}
      >
        <input type="hidden" autoComplete="username" value={user.email} readOnly />
        <CurrentPasswordField name="old_password" label={m.oldPassword} />
        <NewPasswordField name="new_password" />
      </Form>
    </>
  );
}

function DeleteAccount({ user }: { user: User }) {
  const navigate = useNavigate();
  const [isOpen, setOpen] = useState(false);
  return (
    <>
      <h2>{m.deleteAccount}</h2>
      <Button onPress={() => setOpen(true)}>{m.deleteAccount}</Button>
      <Dialog title={m.deleteAccount} isOpen={isOpen} onClose={() => setOpen(false)}>
        <p>{m.deleteText}</p>
        <Form
          action={m.deleteAccount}
          kind="danger"
          onSubmit={async ({ password = "" }) => {
            // A deletion requires a recent sign-in.
            session.set(await unwrap(delivery.POST("/sessions", { body: { email: user.email, password } })));
            await unwrap(delivery.DELETE("/users/me"));
          }}
          onSuccess={() => {
            session.set(undefined);
            device.set(undefined);
            void navigate({ to: "/sign-in", search: { changed: "deleted" } });
          }}
        >
          <CurrentPasswordField />
        </Form>
      </Dialog>
    </>
  );
}
