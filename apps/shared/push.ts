/** Push notifications of this browser: permission, token, and its registration at the account. */
import { delivery, queryClient, unwrap } from "./api";
import { type AppConfig, configQuery } from "./config";
import { session } from "./session";
import { Stored } from "./stored";

export interface PushDevice {
  token: string;
  /** Id of the registration; undefined until the token is registered at the account. */
  id?: string;
}

/** The device of this browser. */
export const device = new Stored<PushDevice>("device");

/** Returns whether this browser and the configuration support push notifications. */
export function isPushSupported(config: AppConfig): boolean {
  const isConfigured = config.firebase !== undefined || config.devices_url !== undefined;
  return isConfigured && "Notification" in window;
}

/** Requests the permission and returns the token, or undefined if the user denies it. */
export async function requestToken(): Promise<string | undefined> {
  const config = await queryClient.fetchQuery(configQuery);
  if (!isPushSupported(config) || (await Notification.requestPermission()) !== "granted") return undefined;
  const token = config.firebase ? await getFirebaseToken(config.firebase) : (device.get()?.token ?? createEmulatedToken());
  if (token !== device.get()?.token) device.set({ token });
  return token;
}

async function getFirebaseToken(app: NonNullable<AppConfig["firebase"]>): Promise<string> {
  const { getToken } = await import("./firebase");
  return getToken(app);
}

/** Returns a token of the sandbox, whose devices exist without a registration of their own. */
function createEmulatedToken(): string {
  return `web-${crypto.randomUUID()}`;
}

/** Registers the token at the signed-in account. */
export async function registerDevice(): Promise<void> {
  const token = await requestToken();
  if (token === undefined) return;
  const { id } = await unwrap(delivery.POST("/users/me/devices", { body: { token, name: describeBrowser() } }));
  device.set({ token, id });
}

/**
 * Registers the device again if Firebase has replaced its token since the last start of the app.
 * The platform removes the old token after the first notification that Firebase rejects.
 */
export async function renewDevice(): Promise<void> {
  const registered = device.get();
  if (registered?.id === undefined || session.get() === undefined) return;
  const { firebase } = await queryClient.fetchQuery(configQuery);
  if (firebase === undefined || Notification.permission !== "granted") return;
  if ((await getFirebaseToken(firebase)) !== registered.token) await registerDevice();
}

/** Removes the registration at the account; the token remains valid for the next one. */
export async function forgetDevice(): Promise<void> {
  const { token, id } = device.get() ?? {};
  if (token === undefined || id === undefined) return;
  await delivery.DELETE("/users/me/devices/{device_id}", { params: { path: { device_id: id } } });
  device.set({ token });
}

function describeBrowser(): string {
  const browser = ["Edg", "Firefox", "Chrome", "Safari"].find((name) => navigator.userAgent.includes(`${name}/`));
  return browser === "Edg" ? "Edge" : (browser ?? "Browser");
}
