/** Form fields of a JSON schema of the contract. */
import { type ReactNode, useEffect, useEffectEvent, useState } from "react";

import { getDecimals } from "../../shared/format";
import { Button, Checkbox, SelectField, TextField } from "../../shared/ui";
import { getLabel } from "../labels";
import { messages } from "../messages";
import { isObject, type Json, type JsonObject, type Schema, splitNull } from "../schema";

/** Currencies by the name of the amount, which the contract has in minor units and forms in major ones. */
const CURRENCIES: Partial<Record<string, string>> = { price: "currency", delivery_fee: "delivery_fee_currency" };
/** Longest text of a single line. */
const MAX_LINE_LENGTH = 500;

interface FieldProps {
  name: string;
  schema: Schema;
  value: Json | undefined;
  isRequired: boolean;
  /** Number of decimals of a number. */
  decimals: number;
  /** Undefined removes the value. */
  onChange: (value: Json | undefined) => void;
}

export interface ObjectFieldsProps {
  schema: Schema;
  value: JsonObject;
  onChange: (value: JsonObject) => void;
  /** Names of additional required properties. */
  required?: Iterable<string>;
}

/** The fields of an object's properties. */
export function ObjectFields({ schema, value, onChange, required = [] }: ObjectFieldsProps) {
  const requiredNames = new Set([...(schema.required ?? []), ...required]);
  const change = (name: string, part: Json | undefined): void => {
    const { [name]: _, ...others } = value;
    onChange(part === undefined ? others : { ...others, [name]: part });
  };
  return Object.entries(schema.properties ?? {}).map(([name, property]) => (
    <SchemaField
      key={name}
      name={name}
      schema={splitNull(property)[0]}
      value={value[name]}
      isRequired={requiredNames.has(name)}
      decimals={countDecimals(name, value)}
      onChange={(part) => change(name, part)}
    />
  ));
}

/** Returns the number of decimals of a property: an amount has those of its currency, another number has none. */
function countDecimals(name: string, value: JsonObject): number {
  const currency = CURRENCIES[name];
  return currency === undefined ? 0 : getDecimals(String(value[currency]));
}

function SchemaField(props: FieldProps): ReactNode {
  const { schema } = props;
  if (schema.type === "object") return <ObjectField {...props} />;
  if (schema.type === "array") return schema.items?.enum ? <OrderedField {...props} /> : <RowsField {...props} />;
  if (schema.type === "boolean") return <BooleanField {...props} />;
  if (schema.enum !== undefined) return <EnumField {...props} />;
  if (schema.type === "integer") return <NumberField {...props} />;
  return <StringField {...props} />;
}

/** A group of fields. If it is optional, a checkbox adds it. */
function ObjectField({ name, schema, value, isRequired, onChange }: FieldProps) {
  const fields = isObject(value) && <ObjectFields schema={schema} value={value} onChange={onChange} />;
  return (
    <fieldset>
      <legend className={isRequired ? "" : "visually-hidden"}>{getLabel(name)}</legend>
      {isRequired || (
        <Checkbox isSelected={isObject(value)} onChange={(isSelected) => onChange(isSelected ? {} : undefined)}>
          {getLabel(name)}
        </Checkbox>
      )}
      {isRequired && value === undefined ? <ObjectFields schema={schema} value={{}} onChange={onChange} /> : fields}
    </fieldset>
  );
}

/** Values of an enumeration in an order: one select for each position. */
function OrderedField({ name, schema, value, onChange }: FieldProps) {
  const chosen = Array.isArray(value) ? value.map(String) : [];
  const positions = Math.min(chosen.length + 1, schema.items?.enum?.length ?? 0);
  const change = (position: number, text: string): void => {
    const values = chosen.filter((each, index) => index !== position && each !== text);
    onChange(text === "" ? values : values.toSpliced(position, 0, text));
  };
  return (
    <fieldset>
      <legend>{getLabel(name)}</legend>
      {Array.from({ length: positions }, (_, position) => (
        <SelectField
          key={position}
          label={`${position + 1}.`}
          options={getOptions(schema.items ?? {}, position > 0)}
          value={chosen[position] ?? ""}
          required={position === 0}
          onChange={({ target }) => change(position, target.value)}
        />
      ))}
    </fieldset>
  );
}

/** Objects in rows that can be added and removed. */
function RowsField({ name, schema, value, onChange }: FieldProps) {
  const rows = Array.isArray(value) ? value : [];
  return (
    <fieldset>
      <legend>{getLabel(name)}</legend>
      {rows.map((row, index) => (
        <div key={index} role="group" aria-label={`${getLabel(name)} ${index + 1}`} className="inline-fields">
          <ObjectFields
            schema={schema.items ?? {}}
            value={isObject(row) ? row : {}}
            onChange={(changed) => onChange(rows.with(index, changed))}
          />
          <Button onPress={() => onChange(rows.toSpliced(index, 1))}>{messages.remove}</Button>
        </div>
      ))}
      <Button onPress={() => onChange([...rows, rows.at(-1) ?? {}])}>{messages.add}</Button>
    </fieldset>
  );
}

function BooleanField({ name, schema, value, onChange }: FieldProps) {
  return (
    <Checkbox isSelected={(value ?? schema.default) === true} onChange={onChange}>
      {getLabel(name)}
    </Checkbox>
  );
}

function EnumField({ name, schema, value, isRequired, onChange }: FieldProps) {
  return (
    <SelectField
      label={getLabel(name)}
      name={name}
      options={getOptions(schema, true)}
      value={typeof value === "string" ? value : ""}
      required={isRequired}
      onChange={({ target }) => onChange(target.value || undefined)}
    />
  );
}

function getOptions({ enum: values = [] }: Schema, hasEmpty: boolean): [value: string, title: string][] {
  return [
    ...(hasEmpty ? [["", "–"] as [string, string]] : []),
    ...values.map((each): [string, string] => [each, getLabel(each)]),
  ];
}

/** An integer, or an amount with decimals. It stores the text, so that an incomplete number can be typed. */
function NumberField({ name, schema, value, isRequired, decimals, onChange }: FieldProps) {
  const { minimum = 0, maximum = Number.MAX_SAFE_INTEGER } = schema;
  const factor = 10 ** decimals;
  const [text, setText] = useState(() => (typeof value === "number" ? (value / factor).toFixed(decimals) : ""));
  const parse = (input: string): number => Math.round(Number(input.replace(",", ".")) * factor);
  const report = (input: string): void => {
    const number = parse(input);
    onChange(input === "" || Number.isNaN(number) ? undefined : number);
  };
  const reportAgain = useEffectEvent(() => {
    if (text !== "" && parse(text) !== value) report(text);
  });
  // A currency with other decimals changes the number that the text means.
  useEffect(() => reportAgain(), [decimals]);
  const validate = (input: string): string | null => {
    const isValid = input === "" || (parse(input) >= minimum && parse(input) <= maximum);
    return isValid ? null : messages.between(minimum / factor, maximum / factor);
  };
  return (
    <TextField
      label={getLabel(name)}
      name={name}
      inputMode={decimals === 0 ? "numeric" : "decimal"}
      pattern={decimals === 0 ? "[0-9]+" : `[0-9]+([.,][0-9]{1,${decimals}})?`}
      isRequired={isRequired}
      validate={validate}
      value={text}
      onChange={(changed) => {
        setText(changed);
        report(changed);
      }}
    />
  );
}

function StringField({ name, schema, value, isRequired, onChange }: FieldProps) {
  const { maxLength = MAX_LINE_LENGTH, minLength, pattern } = schema;
  return (
    <TextField
      label={getLabel(name)}
      name={name}
      type={getInputType(schema)}
      isRequired={isRequired}
      maxLength={maxLength}
      {...(minLength !== undefined && { minLength })}
      {...(maxLength > MAX_LINE_LENGTH && { rows: 4 })}
      validate={(text) =>
        text === "" || pattern === undefined || new RegExp(pattern, "u").test(text) ? null : messages.invalid
      }
      value={typeof value === "string" ? value : ""}
      onChange={(text) => onChange(text === "" && !isRequired ? undefined : text)}
    />
  );
}

function getInputType({ format, pattern }: Schema): string {
  if (format === "email" || format === "date") return format;
  if (format === "uri") return "url";
  // The contract's pattern of a time of day.
  return pattern?.endsWith(":[0-5][0-9]$") ? "time" : "text";
}
