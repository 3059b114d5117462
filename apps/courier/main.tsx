/** Routes of the courier's app. */
import { createRootRoute, createRoute, createRouter, Link, Outlet } from "@tanstack/react-router";

import { shared } from "../shared/messages";
import { useSession } from "../shared/session";
import { startApp } from "../shared/start";
import { Frame, Page, RequireSession, SignOutButton } from "../shared/ui";
import { messages } from "./messages";
import { Deliveries } from "./pages/deliveries";
import { OrderPage } from "./pages/order";

import "./styles.css";

function Root() {
  const isSignedIn = useSession() !== undefined;
  return (
    <Frame
      name={
        <Link to="/" className="name">
          Delivery
        </Link>
      }
      navigation={isSignedIn && <SignOutButton />}
    >
      <RequireSession footer={<p>{messages.couriersOnly}</p>}>
        <Outlet />
      </RequireSession>
    </Frame>
  );
}

const root = createRootRoute({ component: Root, notFoundComponent: () => <Page title={shared.pageNotFound} /> });
const getParentRoute = () => root;
const routes = [
  createRoute({ getParentRoute, path: "/", component: Deliveries }),
  createRoute({ getParentRoute, path: "/orders/$id", component: OrderPage }),
] as const;

const router = createRouter({ routeTree: root.addChildren(routes), basepath: "/courier" });

declare module "@tanstack/react-router" {
  interface Register {
    router: typeof router;
  }
}

startApp(router);
