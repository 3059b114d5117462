export { create__Name__, type __Name__, type Options } from "./client.js";
export { type Problem, ProblemError, unwrap } from "./problem.js";
export type { components, operations, paths } from "./schema.js";
export * from "./streams.js";
export type { WatchEvent, WatchOptions } from "./watch.js";
