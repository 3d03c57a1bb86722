"""An SMTP session up to RCPT. Arguments: port, client's address, sender, name for EHLO, recipient. Prints the first reply that is no success, else RCPT's."""
import smtplib
import sys

port, (client, sender, helo, recipient) = int(sys.argv[1]), sys.argv[2:]
smtp = smtplib.SMTP(timeout=60, source_address=(client, 0), local_hostname="client.example")
reply = smtp.connect("192.0.2.1", port)
for command in ("EHLO %s" % helo, "MAIL FROM:<%s>" % sender, "RCPT TO:<%s>" % recipient):
    if reply[0] >= 400:
        break
    reply = smtp.docmd(command)
print(reply[0], " ".join(reply[1].decode().split()))
try:
    smtp.quit()
except smtplib.SMTPServerDisconnected:
    pass
