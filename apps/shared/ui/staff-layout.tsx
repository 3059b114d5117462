/** Layout of the apps for staff, who sign in before they see any page. */
import { Outlet } from "@tanstack/react-router";
import type { ReactNode } from "react";

import { useSession } from "../session";
import { Frame } from "./page";
import { RequireSession, SignOutButton } from "./sign-in";

export interface StaffLayoutProps {
  /** Links for signed-in users. */
  navigation?: ReactNode;
  /** Text below the sign-in form. */
  hint: string;
}

/** Header with navigation and sign-out, and the page, or the sign-in form. */
export function StaffLayout({ navigation, hint }: StaffLayoutProps) {
  const isSignedIn = useSession() !== undefined;
  return (
    <Frame
      name="Delivery"
      navigation={
        isSignedIn && (
          <>
            {navigation}
            <SignOutButton />
          </>
        )
      }
    >
      <RequireSession footer={<p>{hint}</p>}>
        <Outlet />
      </RequireSession>
    </Frame>
  );
}
