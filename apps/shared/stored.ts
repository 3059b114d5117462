/** A value in the browser's storage, which all tabs of an app share and which survives a reload. */
import { useSyncExternalStore } from "react";

export class Stored<T> {
  readonly key: string;
  private value: T | undefined;
  private readonly listeners = new Set<() => void>();

  constructor(name: string) {
    this.key = import.meta.env.BASE_URL + name;
    this.value = this.read();
    // Only other tabs receive this event; without a key, the whole storage was cleared.
    window.addEventListener("storage", ({ key }) => {
      if (key === this.key || key === null) this.setValue(this.read());
    });
  }

  get(): T | undefined {
    return this.value;
  }

  /** Reads the value from the storage, which another tab may have changed a moment ago. */
  read(): T | undefined {
    const text = localStorage.getItem(this.key);
    return text === null ? undefined : (JSON.parse(text) as T);
  }

  /** Stores a value, or removes it. */
  set(value: T | undefined): void {
    if (value === undefined) localStorage.removeItem(this.key);
    else localStorage.setItem(this.key, JSON.stringify(value));
    this.setValue(value);
  }

  /** Calls a function after each change, in this tab or another one. Returns a function that ends this. */
  readonly subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  /** Waits for the next change, at most for a timeout in milliseconds. */
  async waitForChange(timeout: number): Promise<void> {
    let unsubscribe = (): void => undefined;
    const changed = new Promise<void>((resolve) => (unsubscribe = this.subscribe(resolve)));
    const timedOut = new Promise<void>((resolve) => window.setTimeout(resolve, timeout));
    await Promise.race([changed, timedOut]);
    unsubscribe();
  }

  /** Returns the value in a component, which is rendered again after each change. */
  use(): T | undefined {
    return useSyncExternalStore(this.subscribe, () => this.value);
  }

  private setValue(value: T | undefined): void {
    this.value = value;
    for (const listener of this.listeners) listener();
  }
}
