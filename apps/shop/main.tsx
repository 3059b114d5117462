/** Routes of the shop. */
import { createRootRoute, createRoute, createRouter, Link, Outlet } from "@tanstack/react-router";

import type { Schemas } from "../shared/api";
import { shared } from "../shared/messages";
import { renewDevice } from "../shared/push";
import { useSession } from "../shared/session";
import { startApp } from "../shared/start";
import { Frame, NotFoundPage } from "../shared/ui";
import { basket, countItems } from "./basket";
import { m } from "./messages";
import { BasketPage } from "./pages/basket";
import { CatalogPage } from "./pages/catalog";
import { CheckoutPage } from "./pages/checkout";
import { NotificationsPage } from "./pages/notifications";
import { OrderPage, ReturnPage } from "./pages/order";
import { OrdersPage } from "./pages/orders";
import { PartnerPage } from "./pages/partner";
import { ProfilePage } from "./pages/profile";
import { ConfirmPage, ResetPasswordPage, SignInPage, SignUpPage } from "./pages/sign-in";

import "./styles.css";

const root = createRootRoute({ component: Layout, notFoundComponent: NotFoundPage });

function Layout() {
  const isSignedIn = useSession() !== undefined;
  const count = countItems(basket.use());
  return (
    <Frame
      name={m.name}
      navigation={
        <>
          <Link to="/basket">{count > 0 ? m.basketWith(count) : m.basket}</Link>
          {isSignedIn ? (
            <>
              <Link to="/orders">{m.orders}</Link>
              <Link to="/notifications">{m.notifications}</Link>
              <Link to="/profile">{m.profile}</Link>
            </>
          ) : (
            <Link to="/sign-in">{shared.signIn}</Link>
          )}
        </>
      }
    >
      <Outlet />
    </Frame>
  );
}

/** Returns a validator of search parameters: optional texts of these names. */
function texts<Name extends string>(...names: Name[]) {
  return (search: Record<string, unknown>): { [Each in Name]?: string } =>
    Object.fromEntries(names.filter((name) => search[name] !== undefined).map((name) => [name, String(search[name])])) as {
      [Each in Name]?: string;
    };
}

const parent = { getParentRoute: () => root };
const routeTree = root.addChildren([
  createRoute({ ...parent, path: "/", component: CatalogPage, validateSearch: texts("q", "category") }),
  createRoute({ ...parent, path: "/partners/$partnerId", component: PartnerPage }),
  createRoute({ ...parent, path: "/basket", component: BasketPage }),
  createRoute({ ...parent, path: "/checkout/$checkId", component: CheckoutPage }),
  createRoute({ ...parent, path: "/return", component: ReturnPage, validateSearch: texts("order_id") }),
  createRoute({
    ...parent,
    path: "/orders",
    component: OrdersPage,
    validateSearch: (search) => texts("status")(search) as { status?: Schemas["OrderStatus"] },
  }),
  createRoute({ ...parent, path: "/orders/$orderId", component: OrderPage }),
  createRoute({ ...parent, path: "/notifications", component: NotificationsPage }),
  createRoute({ ...parent, path: "/profile", component: ProfilePage }),
  createRoute({ ...parent, path: "/sign-in", component: SignInPage, validateSearch: texts("changed") }),
  createRoute({ ...parent, path: "/sign-up", component: SignUpPage }),
  createRoute({ ...parent, path: "/confirm", component: ConfirmPage }),
  createRoute({ ...parent, path: "/reset-password", component: ResetPasswordPage }),
]);

const router = createRouter({ routeTree, basepath: "/shop", scrollRestoration: true });

declare module "@tanstack/react-router" {
  interface Register {
    router: typeof router;
  }
}

startApp(router);
// The profile offers the registration if this fails.
renewDevice().catch(() => undefined);
