/** Buttons. */
import { Button as AriaButton, type ButtonProps as AriaButtonProps } from "react-aria-components";

export interface ButtonProps extends AriaButtonProps {
  kind?: "primary" | "secondary" | "danger" | "plain";
}

/** A button; while `isPending`, it announces that and ignores presses. */
export function Button({ kind = "secondary", ...props }: ButtonProps) {
  return <AriaButton {...props} className={`button ${kind}`} />;
}
