/** The configuration of the apps, which the edge serves at `/apps.json`. */
import { queryOptions, useQuery } from "@tanstack/react-query";

import { API_ORIGIN } from "./api";

export interface AppConfig {
  /** Firebase web app for push notifications. */
  firebase?: { apiKey: string; appId: string; projectId: string; messagingSenderId: string; vapidKey: string };
  /** URL of the sandbox's devices, which emulate push notifications in development. */
  devices_url?: string;
  /** URL of a search for traces, to which the id of an order is added. */
  traces_url?: string;
}

export const configQuery = queryOptions({
  queryKey: ["config"],
  queryFn: async ({ signal }): Promise<AppConfig> => {
    const response = await fetch(`${API_ORIGIN}/apps.json`, { signal });
    if (!response.ok) throw new Error(`/apps.json: status ${response.status}`);
    return (await response.json()) as AppConfig;
  },
  staleTime: Infinity,
});

export function useConfig(): AppConfig {
  return useQuery(configQuery).data ?? {};
}
