/** Schemas of requests, and the filters of lists as object schemas, from the OpenAPI document. */
import type { operations } from "@delivery/client";

import type { Schemas } from "../shared/api";
import type { Schema } from "./schema";

declare const CONTRACT: {
  schemas: Record<keyof Schemas, Schema>;
  filters: Record<keyof operations, Schema>;
};

export const { schemas, filters } = CONTRACT;
