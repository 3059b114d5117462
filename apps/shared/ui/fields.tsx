/** Form fields with label, description and error message. */
import {
  Checkbox as AriaCheckbox,
  type CheckboxProps,
  FieldError,
  Input,
  Label,
  Text,
  TextArea,
  TextField as AriaTextField,
  type TextFieldProps as AriaTextFieldProps,
} from "react-aria-components";
import type { ReactNode, SelectHTMLAttributes } from "react";
import { useId } from "react";

export interface TextFieldProps extends AriaTextFieldProps {
  label: string;
  description?: string;
  rows?: number;
}

/** A text input, or a text area if `rows` is set. */
export function TextField({ label, description, rows, ...props }: TextFieldProps) {
  return (
    <AriaTextField {...props} className="field">
      <Label>{label}</Label>
      {rows === undefined ? <Input /> : <TextArea rows={rows} />}
      {description !== undefined && <Text slot="description">{description}</Text>}
      <FieldError />
    </AriaTextField>
  );
}

export interface SelectFieldProps extends SelectHTMLAttributes<HTMLSelectElement> {
  label: string;
  options: Iterable<readonly [value: string, title: string]>;
}

/** The browser's own select, which phones show as a native list. */
export function SelectField({ label, options, ...props }: SelectFieldProps) {
  const id = useId();
  return (
    <div className="field">
      <label htmlFor={id}>{label}</label>
      <select {...props} id={id}>
        {[...options].map(([value, title]) => (
          <option key={value} value={value}>
            {title}
          </option>
        ))}
      </select>
    </div>
  );
}

export function Checkbox({ children, ...props }: Omit<CheckboxProps, "children"> & { children: ReactNode }) {
  return (
    <AriaCheckbox {...props} className="checkbox">
      <span className="box" aria-hidden="true" />
      {children}
    </AriaCheckbox>
  );
}
