/** Routes of the courier's app. */
import { createRootRoute, createRoute, createRouter } from "@tanstack/react-router";

import { startApp } from "../shared/start";
import { NotFoundPage, StaffLayout } from "../shared/ui";
import { messages } from "./messages";
import { Deliveries } from "./pages/deliveries";
import { OrderPage } from "./pages/order";

import "./styles.css";

function Root() {
  return <StaffLayout hint={messages.couriersOnly} />;
}

const root = createRootRoute({ component: Root, notFoundComponent: NotFoundPage });
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
