"""What the demo's tickets are about: real-sounding troubles with what was said about them."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Story:
    """One kind of trouble; texts may hold {site}, {device} and {number}."""

    service: str
    category: str
    impact: int
    urgency: int
    subjects: tuple[str, ...]
    body: str
    first: str
    ask: str
    answer: str
    note: str
    tried: str
    suspected: str
    next_action: str
    solution: str


SITES = ("Rotterdam", "Gdańsk", "Lyon", "Porto", "Leeds", "Aarhus", "Dresden", "Turin", "Utrecht", "Cork")

WAVE = (
    Story(
        "Card payments", "Payments", 1, 2,
        ("Card terminals decline every card in {site}", "Card payments time out at till {number}, {site}"),
        "Since about {number} minutes every card is declined with “issuer not reachable”. Cash works. Customers leave "
        "their baskets. All tills in {site} are affected.",
        "We see declines from {site} too and are checking the clearing line. Please keep one till on cash meanwhile.",
        "Could you read me the code on the receipt, bottom left?",
        "It says 91 on all of them.",
        "Code 91 from four shops in ten minutes: not a single terminal, the line to the clearing house.",
        "Restarted two terminals, moved one till to the mobile backup: the same declines.",
        "Timeouts on the line to the clearing house since the certificate change.",
        "Check the handshake on the clearing gateway, fail over to the second line.",
        "Clearing runs over the second line again; all tills in {site} take cards. The first line stays out until the "
        "carrier has replaced the certificate.",
    ),
    Story(
        "Card payments", "Payments", 1, 2,
        ("Contactless stopped working in {site}", "Terminals in {site} ask for the PIN for every amount"),
        "Contactless payments stopped this afternoon. Inserting the card works but takes half a minute, the queue "
        "reaches the door.",
        "Thank you, we have it from two other shops as well. We are looking at the terminals' last update.",
        "Which version does the terminal show under Info?",
        "{number}.4, updated last night according to the screen.",
        "Only terminals with last night's update are affected; the others are fine.",
        "Rolled one terminal back by hand: contactless works there.",
        "Last night's update switched the contactless kernel off.",
        "Stop the rollout, roll back shop by shop, largest shops first.",
        "Rolled back; contactless works on all terminals in {site}. The update is withdrawn.",
    ),
    Story(
        "Payouts", "Payments", 2, 1,
        ("Settlement file to carriers not sent", "Payout run stopped at batch {number}"),
        "Monitoring: payout run stopped, batch {number} in state HELD since 04:10. Carriers expect their money by noon.",
        "The run is held by a duplicate check; we are looking at what it found.",
        "Was a batch resent by hand yesterday evening?",
        "Yes, {site} sent theirs twice because the first one showed no receipt.",
        "Duplicate check fires on the resent batch. Releasing it as is would pay {site} twice.",
        "Compared both batches: identical but for the time stamp.",
        "Batch was resent by hand after a missing receipt.",
        "Remove the second batch, release the run, confirm with treasury before noon.",
        "Duplicate batch removed with treasury's word, run released, confirmations are in.",
    ),
)

STORIES = (
    Story(
        "Office network", "Network", 1, 2,
        ("No network on floor {number} in {site}", "Half of {site} is offline"),
        "Nobody on floor {number} has a network, cable and Wi-Fi alike. It began after a short power cut. About forty "
        "people can't work.",
        "We see the floor's switch down and are on it.",
        "Is the cabinet by the stairs humming, and are its lights on?",
        "No lights at all. There is a smell of burnt plastic.",
        "Power supply of the access switch is dead. Spare is in the {site} store, second shelf.",
        "Power-cycled from remote: no answer. The uplink port is dark.",
        "Power supply of the access switch died in the cut.",
        "Send somebody with the spare unit; load the saved configuration.",
        "The switch on floor {number} is replaced and runs with its old configuration. Everybody is online.",
    ),
    Story(
        "Office network", "Network", 2, 2,
        ("Video calls freeze every afternoon in {site}", "Wi-Fi slow in the {site} meeting rooms"),
        "Since last week calls from the big meeting room freeze every few minutes between two and four o'clock. "
        "Cable is fine.",
        "Thanks, that is precise. We will measure the channel load this afternoon.",
        "Does it happen with the door to the hall closed as well?",
        "Yes. It got worse when the new screens were mounted.",
        "The wireless screens sit on the same channel as the access point.",
        "Moved the access point to another channel for an hour: calls were fine.",
        "Wireless presentation screens crowd the channel.",
        "Plan channels for the floor, move the screens to 5 GHz.",
        "Screens and access points no longer share a channel. Two days without a frozen call.",
    ),
    Story(
        "VPN", "Network", 2, 2,
        ("VPN drops every ten minutes", "VPN connects, then nothing loads", "Can't reach the VPN from home"),
        "The VPN connects, but after ten minutes everything hangs until I connect again. It worked on Friday. I am at "
        "home in {site}.",
        "Hello, thank you for writing. Let us look at your connection together.",
        "Are you on Wi-Fi or cable at home, and does it drop on your phone's hotspot too?",
        "Wi-Fi. On the hotspot it stays up, so far an hour.",
        "Home router fragments packets above {number}00 bytes; others with this provider have it, too.",
        "New profile, other gateway, older client: the same after ten minutes.",
        "MTU too large for the provider's new tunnel.",
        "Lower the MTU in the profile for this provider.",
        "Your profile now uses smaller packets, which your provider needs. Please connect once again to fetch it.",
    ),
    Story(
        "VPN", "Network", 1, 1,
        ("VPN gateway refuses everybody", "Nobody in {site} can connect to the VPN"),
        "Monitoring: gateway vpn-{number} answers no new sessions, {number}00 users affected.",
        "Confirmed. New sessions are moved to the other gateway, existing ones stay.",
        "Did anybody touch the gateway this morning?",
        "A licence was renewed at nine.",
        "The renewed licence counts concurrent users as zero. Vendor confirms the bug.",
        "Restarted the session service; it refuses again after a minute.",
        "Renewed licence carries a limit of zero sessions.",
        "Load the old licence file, valid until Sunday; vendor sends a corrected one.",
        "The gateway takes sessions again with the former licence. The corrected one is loaded and tested.",
    ),
    Story(
        "Warehouse scanners", "Network", 2, 1,
        ("Scanners lose Wi-Fi between aisles {number} and 20", "Handhelds in {site} freeze while booking"),
        "Our scanners lose the network when we drive from one aisle to the next. Each time the booking must be "
        "typed again. We are {number} pallets behind.",
        "We see the handovers fail in the logs. Somebody from Field Support is on the way.",
        "Is it all scanners, or only the new yellow ones?",
        "Only the new ones. The old grey ones are fine.",
        "New scanners don't speak the fast handover that the hall uses.",
        "Updated one scanner to the newest firmware: handover works.",
        "Firmware of the new model lacks fast roaming.",
        "Update all new scanners during the night shift's break.",
        "All yellow scanners are updated; no lost booking during the night shift.",
    ),
    Story(
        "Freight planner", "Applications", 1, 2,
        ("Freight planner shows yesterday's loads", "Planner is empty for {site}"),
        "The planner shows the loads of yesterday. Drivers are at the gate and we don't know what goes where.",
        "We see it, too: the import of six o'clock did not finish. We start it again now.",
        "Which depot do you plan for?",
        "{site}, and Leeds has the same.",
        "Import hangs on one load without a postcode. Skipping it lets the rest through.",
        "Started the import twice, it stops at the same record.",
        "A load without postcode stops the whole import.",
        "Take the record out, import the rest, mend the check.",
        "Today's loads are in. One record without a postcode stopped the import; it no longer can.",
    ),
    Story(
        "Freight planner", "Applications", 2, 2,
        ("Route export to the drivers' app fails", "Drivers get no new stops since noon"),
        "Changed stops don't arrive in the drivers' app any more. I have to call every driver.",
        "Thank you, we are looking at the queue between planner and app.",
        "Do new routes arrive, and only changes don't?",
        "Right, new routes are fine.",
        "Changes carry a version the app refuses since its last release.",
        "Replayed one change by hand: refused with “stale version”.",
        "The app's new release compares versions the wrong way round.",
        "Roll the app's service back, replay the changes since noon.",
        "Changes reach the drivers again and those since noon were sent anew.",
    ),
    Story(
        "Patient calendar", "Applications", 1, 1,
        ("Patient calendar very slow in {site}", "Appointments can't be saved"),
        "Saving an appointment takes more than a minute or ends in an error. The waiting room is full.",
        "We are looking at the database behind it at this moment. Please keep appointments on paper until we call.",
        "Is reading fast and only saving slow?",
        "Yes, looking at the day is quick.",
        "Writes wait for a lock of the statistics report that was started at half past seven.",
        "Stopped the report once; it was started again by the schedule.",
        "A long report locks the appointments table.",
        "Disable the schedule, run the report on the replica.",
        "The report runs on a copy from now on. Saving takes under a second.",
    ),
    Story(
        "Email and calendar", "Applications", 3, 2,
        ("Shared mailbox missing after the move", "Can't open the invoices mailbox"),
        "Since my move to the new team the mailbox invoices-{number} is gone from my list.",
        "Hello, that is easily done: I add you to the new group.",
        "Should the old team keep access as well?",
        "No, only ours please.",
        "Mailbox belongs to the old group. Owner agreed by phone.",
        "Added the user to the group, waited an hour, not visible.",
        "Group membership is not synchronised.",
        "Run the synchronisation by hand.",
        "The mailbox is back in your list. It takes ten minutes to appear after a restart.",
    ),
    Story(
        "Email and calendar", "Applications", 2, 3,
        ("Mails to {site} come back", "Outgoing mails marked as spam"),
        "Two customers tell me our mails land in their spam folder since Monday.",
        "Thank you for telling us. We check our records with their provider.",
        "Could one of them send you the headers of such a mail?",
        "Here they are: “dkim=fail (key not found)”.",
        "Key of the new mail relay was not published.",
        "Sent test mails over both relays; only the new one fails.",
        "DNS record for the new relay's key is missing.",
        "Publish the key, wait for the old entry to expire, test.",
        "Our signature is complete again; both customers confirm that mails arrive.",
    ),
    Story(
        "Sign-on", "Accounts & access", 3, 1,
        ("Locked out after a new phone", "Second factor does not work any more"),
        "I have a new phone and can't sign in: it asks for a code I no longer get. I need to approve invoices today.",
        "No worry, we can reset that. I call you on your desk number to be sure it is you.",
        "Is the number in the directory still right?",
        "Yes, extension {number}12.",
        "Identity confirmed by call-back.",
        "Reset the second factor twice; the old device is still asked.",
        "The old device is registered twice.",
        "Remove both registrations in the directory.",
        "Your second factor is reset. Please register the new phone with the link in our other mail.",
    ),
    Story(
        "Sign-on", "Accounts & access", 1, 2,
        ("Sign-in takes minutes for everybody", "Portal says “session expired” right after signing in"),
        "Everybody in {site} is thrown out right after signing in. It began at nine.",
        "We see an unusual number of expired sessions and are checking the clocks of the sign-on servers.",
        "Does it help to use a private window?",
        "No, the same.",
        "One of three servers is four minutes behind.",
        "Took the server out of the pool: sign-ins work.",
        "Time service on sso-{number} stopped after patching.",
        "Start the time service, alarm on its absence, put the server back.",
        "The clock that was wrong is right again and watched from now on.",
    ),
    Story(
        "File shares", "Accounts & access", 3, 3,
        ("Access to the folder “Contracts {site}”", "New colleague needs the team folder"),
        "Our new colleague starts on Monday and needs to read the contracts folder.",
        "Happy to. I need a word from the folder's owner first.",
        "Who owns the folder on your side?",
        "That is Katarina, she is in copy.",
        "Owner agreed in writing.",
        "Added to the reading group; write access was not asked for.",
        "Nothing wrong, a plain request.",
        "Check on Monday that the folder opens.",
        "Your colleague can read the folder from Monday on.",
    ),
    Story(
        "Workplaces", "Workplace", 3, 2,
        ("Laptop does not start after the update", "Black screen after docking", "Laptop very loud and slow"),
        "After last night's update my laptop shows a black screen with a cursor. I have tried three times.",
        "Sorry to hear that. Please hold the power button for ten seconds, then start without the dock.",
        "Does it start without the dock?",
        "Yes! With the dock it stays black.",
        "Dock firmware is two versions behind; the update needs the newest one.",
        "Other cable, other dock of the same model: black as well.",
        "Graphics driver of the update and old dock firmware.",
        "Update the dock from a second laptop, then the driver.",
        "The dock has new firmware and your screens are back.",
    ),
    Story(
        "Workplaces", "Workplace", 3, 3,
        ("New headset for {device}", "Second screen for the desk in {site}"),
        "My headset crackles; may I have a new one? I am in calls all day.",
        "Of course. One is on its way to {site}.",
        "Cable or wireless?",
        "Cable, please.",
        "Sent from the store, two days.",
        "None needed.",
        "Worn out.",
        "Confirm arrival.",
        "Your headset has arrived, reception says. Enjoy the quiet.",
    ),
    Story(
        "Printing", "Printing", 3, 2,
        ("Label printer in {site} prints half labels", "Printer {number} on the ground floor offline"),
        "The label printer cuts every label in the middle. We can't ship like that.",
        "Thank you. Please open the lid and tell me the size on the roll.",
        "Does the roll say 100 or 102 mm?",
        "102. They are new rolls.",
        "New rolls are two millimetres wider; the sensor must be taught.",
        "Calibrated by remote: no change.",
        "Printer does not know the new label size.",
        "Somebody on site holds the feed button for five seconds.",
        "The printer has learned the new rolls; labels are whole again.",
    ),
    Story(
        "Reporting", "Applications", 3, 3,
        ("Monday report shows last week's numbers", "Dashboard for {site} empty"),
        "The Monday report has the numbers of the week before. The board meets at eleven.",
        "We look at the nightly run and send you the right numbers by ten.",
        "Is it only this report?",
        "All that have “fleet” in the name.",
        "The fleet table was loaded twice on Sunday, then locked.",
        "Ran the load again: it ends with a lock timeout.",
        "Two loads overlapped when the clocks changed.",
        "Release the lock, load once, put a guard before the load.",
        "The report shows this week. Two loads can't overlap any more.",
    ),
    Story(
        "Office network", "Telephony", 3, 2,
        ("Desk phones in {site} have no dial tone", "Calls are one-way since this morning"),
        "I hear callers, they don't hear me. It is like that on all phones in the room.",
        "Thank you, we look at the call server.",
        "Does it happen with calls inside the house, too?",
        "No, only with calls from outside.",
        "Voice packets from outside go the old way since the change of routes.",
        "Restarted one phone and one switch port.",
        "Asymmetric route for voice after last night's change.",
        "Correct the route, keep the change record open.",
        "Calls work both ways again; the route is corrected.",
    ),
)
DEVICES = ("the front desk", "meeting room 4", "gate B", "the planning office", "ward 2", "till 7")
HANDOFF_IMPACT = (
    "People at {site} can't work as usual.",
    "One site, about thirty people; a way around exists but is slow.",
    "Only {device} so far, more are expected to notice.",
)
THANKS = (
    "Thank you, works again!",
    "Great, that was quick.",
    "Confirmed, thank you.",
    "All fine here now. Thanks for explaining.",
)
CHASERS = (
    "Is there any news? We are still stuck.",
    "It happened again just now.",
    "Could somebody call me? {site} is waiting.",
)
