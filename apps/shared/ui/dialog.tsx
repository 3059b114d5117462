/** Modal dialogs. */
import type { ReactNode } from "react";
import { Dialog as AriaDialog, Heading, Modal, ModalOverlay } from "react-aria-components";

import { shared } from "../messages";
import { Button } from "./button";

export interface DialogProps {
  title: string;
  isOpen: boolean;
  onClose: () => void;
  /** Whether only the button closes the dialog. */
  isPersistent?: boolean;
  children: ReactNode;
}

/** A modal dialog with a title and a close button. */
export function Dialog({ title, isOpen, onClose, isPersistent = false, children }: DialogProps) {
  return (
    <ModalOverlay
      className="overlay"
      isOpen={isOpen}
      onOpenChange={(open) => open || onClose()}
      isDismissable={!isPersistent}
      isKeyboardDismissDisabled={isPersistent}
    >
      <Modal className="modal">
        <AriaDialog>
          <Heading slot="title" level={2}>
            {title}
          </Heading>
          {children}
          <Button kind="plain" onPress={onClose}>
            {shared.close}
          </Button>
        </AriaDialog>
      </Modal>
    </ModalOverlay>
  );
}
