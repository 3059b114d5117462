// Validates the AsyncAPI document on standard input and prints the diagnostics of the parser as JSON.

import { text } from "node:stream/consumers";

import { Parser } from "@asyncapi/parser";

console.log(JSON.stringify(await new Parser().validate(await text(process.stdin))));
