// Reads custom resources as JSON from standard input and prints the violations of their schemas, one line each.
import { readFileSync } from "node:fs";
import * as certManager from "@kubernetes-models/cert-manager/cert-manager.io/v1";
import * as cloudNativePg from "@kubernetes-models/cloudnative-pg/postgresql.cnpg.io/v1";
import * as gatewayApi from "@kubernetes-models/gateway-api/gateway.networking.k8s.io/v1";
import * as prometheusOperator from "@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1";

const MODELS = {
  "cert-manager.io/v1": certManager,
  "gateway.networking.k8s.io/v1": gatewayApi,
  "monitoring.coreos.com/v1": prometheusOperator,
  "postgresql.cnpg.io/v1": cloudNativePg,
};

for (const object of JSON.parse(readFileSync(0, "utf8"))) {
  const { apiVersion, kind, metadata } = object;
  const Model = MODELS[apiVersion]?.[kind];
  if (Model === undefined) {
    console.log(`${kind} ${metadata.name}: no schema of ${apiVersion} ${kind}`);
    continue;
  }
  try {
    new Model(object).validate();
  } catch (error) {
    console.log(`${kind} ${metadata.name}: ${error.message}`);
  }
}
