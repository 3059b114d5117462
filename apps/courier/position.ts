/** The courier's position, reported to the platform while an order is delivered. */
import { useEffect, useState } from "react";

import { delivery } from "../shared/api";

/** Shortest time between two reports. The contract permits 60 a minute. */
const INTERVAL_MS = 3_000;

export type PositionState = "waiting" | "shared" | "denied" | "unavailable";

/** Reports the position of the device for an order, and returns whether that works. */
export function usePositionReports(orderId: string): PositionState {
  const [state, setState] = useState<PositionState>("waiting");
  useEffect(() => {
    let latest: GeolocationCoordinates | undefined;
    let timer: ReturnType<typeof setTimeout> | undefined;

    const report = async ({ latitude, longitude }: GeolocationCoordinates): Promise<void> => {
      const params = { path: { order_id: orderId } };
      try {
        const { response } = await delivery.PUT("/orders/{order_id}/deliverer-position", {
          params,
          body: { latitude, longitude },
        });
        setState(response.ok ? "shared" : "unavailable");
      } catch {
        setState("unavailable"); // A later report may succeed.
      }
    };

    /** Reports the latest position now, and the one after it when the interval has ended. */
    const next = (): void => {
      timer = undefined;
      if (latest === undefined) return;
      timer = setTimeout(next, INTERVAL_MS);
      void report(latest);
      latest = undefined;
    };

    const watch = navigator.geolocation.watchPosition(
      ({ coords }) => {
        latest = coords;
        if (timer === undefined) next();
      },
      ({ code, PERMISSION_DENIED }) => setState(code === PERMISSION_DENIED ? "denied" : "unavailable"),
      { enableHighAccuracy: true },
    );
    return () => {
      navigator.geolocation.clearWatch(watch);
      clearTimeout(timer);
    };
  }, [orderId]);
  return state;
}
