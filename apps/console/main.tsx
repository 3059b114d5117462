/** Routes of the console. */
import { createRootRoute, createRoute, createRouter, Link, redirect } from "@tanstack/react-router";

import { startApp } from "../shared/start";
import { NotFoundPage, StaffLayout } from "../shared/ui";
import { messages } from "./messages";
import { BankPage, Banks, NewBank } from "./pages/banks";
import { Notifications } from "./pages/notifications";
import { OrderPage, Orders } from "./pages/orders";
import { PartnerCalls } from "./pages/partner-calls";
import { NewPartner, PartnerPage, Partners } from "./pages/partners";
import { Payments } from "./pages/payments";
import { NewProduct, ProductPage, Products } from "./pages/products";
import { Refunds } from "./pages/refunds";
import { NewSender, SenderPage, Senders } from "./pages/senders";
import { Users } from "./pages/users";
import type { FilterValues } from "./ui/list";

import "./styles.css";

function Root() {
  return (
    <StaffLayout
      hint={messages.adminOnly}
      navigation={
        <>
          <Link to="/orders">{messages.orders}</Link>
          <Link to="/payments">{messages.payments}</Link>
          <Link to="/refunds">{messages.refunds}</Link>
          <Link to="/partner-calls">{messages.partnerCalls}</Link>
          <Link to="/notifications">{messages.notifications}</Link>
          <Link to="/partners">{messages.partners}</Link>
          <Link to="/products">{messages.products}</Link>
          <Link to="/banks">{messages.banks}</Link>
          <Link to="/senders">{messages.senders}</Link>
          <Link to="/users">{messages.users}</Link>
        </>
      }
    />
  );
}

const root = createRootRoute({ component: Root, notFoundComponent: NotFoundPage });
const getParentRoute = () => root;
/** Filters of a list. */
const validateSearch = (search: Record<string, unknown>) => search as FilterValues;

const routes = [
  createRoute({
    getParentRoute,
    path: "/",
    beforeLoad: () => {
      throw redirect({ to: "/orders" });
    },
  }),
  createRoute({ getParentRoute, path: "/orders", component: Orders, validateSearch }),
  createRoute({ getParentRoute, path: "/orders/$id", component: OrderPage }),
  createRoute({ getParentRoute, path: "/payments", component: Payments, validateSearch }),
  createRoute({ getParentRoute, path: "/refunds", component: Refunds, validateSearch }),
  createRoute({ getParentRoute, path: "/partner-calls", component: PartnerCalls, validateSearch }),
  createRoute({ getParentRoute, path: "/notifications", component: Notifications, validateSearch }),
  createRoute({ getParentRoute, path: "/partners", component: Partners }),
  createRoute({ getParentRoute, path: "/partners/new", component: NewPartner }),
  createRoute({ getParentRoute, path: "/partners/$id", component: PartnerPage }),
  createRoute({ getParentRoute, path: "/products", component: Products }),
  createRoute({ getParentRoute, path: "/products/new", component: NewProduct }),
  createRoute({ getParentRoute, path: "/products/$id", component: ProductPage }),
  createRoute({ getParentRoute, path: "/banks", component: Banks, validateSearch }),
  createRoute({ getParentRoute, path: "/banks/new", component: NewBank }),
  createRoute({ getParentRoute, path: "/banks/$id", component: BankPage }),
  createRoute({ getParentRoute, path: "/senders", component: Senders }),
  createRoute({ getParentRoute, path: "/senders/new", component: NewSender }),
  createRoute({ getParentRoute, path: "/senders/$id", component: SenderPage }),
  createRoute({ getParentRoute, path: "/users", component: Users, validateSearch }),
] as const;

const router = createRouter({ routeTree: root.addChildren(routes), basepath: "/console" });

declare module "@tanstack/react-router" {
  interface Register {
    router: typeof router;
  }
}

startApp(router);
