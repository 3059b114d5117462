import type { ReactNode } from "react";

import { getLabel, type Name } from "../labels";

/** An item of a description list, or nothing without a value. */
export function Fact({ name, children }: { name: Name; children: ReactNode }) {
  if (children === undefined || children === "") return null;
  return (
    <div>
      <dt>{getLabel(name)}</dt>
      <dd>{children}</dd>
    </div>
  );
}
