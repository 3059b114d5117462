export * from "./button";
export * from "./dialog";
export * from "./fields";
export * from "./form";
export * from "./page";
export * from "./problem";
export * from "./sign-in";
export * from "./staff-layout";
