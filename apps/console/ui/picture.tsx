/** The picture of a partner or product, and its upload. */
import { useId, useRef } from "react";

import { resolveUrl, unwrap } from "../../shared/api";
import { Form } from "../../shared/ui";
import { messages } from "../messages";

type Call = Promise<{ data?: unknown; error?: unknown; response: Response }>;

export interface PictureProps {
  url: string | undefined;
  /** Sends a picture. */
  upload: (picture: File) => Call;
  onSuccess: () => void;
}

export function Picture({ url, upload, onSuccess }: PictureProps) {
  const input = useRef<HTMLInputElement>(null);
  const id = useId();
  const send = async (): Promise<void> => {
    const [file] = input.current?.files ?? [];
    if (file !== undefined) await unwrap(upload(file));
  };
  return (
    <section>
      <h2>{messages.picture}</h2>
      {url !== undefined && <img src={resolveUrl(url)} alt="" width={160} height={160} />}
      <Form action={messages.upload} onSubmit={send} onSuccess={onSuccess}>
        <div className="field">
          <label htmlFor={id}>{messages.picture}</label>
          <input ref={input} id={id} type="file" accept="image/png,image/jpeg,image/webp" required />
        </div>
      </Form>
    </section>
  );
}

/** Returns the body of an upload: the client's type of a file is a string. */
export function createPictureForm(picture: File) {
  return {
    body: { picture: "" },
    bodySerializer: () => {
      const form = new FormData();
      form.set("picture", picture);
      return form;
    },
  };
}
