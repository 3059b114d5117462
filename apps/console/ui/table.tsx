/** Tables. */
import type { Key, ReactNode } from "react";

import { getLabel, type Name } from "../labels";
import { messages } from "../messages";

export interface Column<T> {
  title: Name;
  cell: (item: T) => ReactNode;
  isNumber?: boolean;
  /** Whether lines are wrapped. */
  isText?: boolean;
}

export interface TableProps<T> {
  label: string;
  columns: Column<T>[];
  items: T[];
}

/** A table, which scrolls horizontally on narrow screens. */
export function Table<T>({ label, columns, items }: TableProps<T>) {
  if (items.length === 0) return <p className="dim">{messages.empty}</p>;
  return (
    <div className="scroll" role="region" aria-label={label} tabIndex={0}>
      <table>
        <thead>
          <tr>
            {columns.map(({ title, isNumber }) => (
              <th key={title} scope="col" className={isNumber ? "number" : ""}>
                {getLabel(title)}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {items.map((item, index) => (
            <tr key={getKey(item, index)}>
              {columns.map(({ title, cell, isNumber, isText }) => (
                <td key={title} className={isNumber ? "number" : isText ? "text" : ""}>
                  {cell(item)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

/** Returns the id of an item: the state of a row, such as an open dialog, must not move to another item. */
function getKey(item: unknown, index: number): Key {
  return typeof item === "object" && item !== null && "id" in item ? String(item.id) : index;
}
