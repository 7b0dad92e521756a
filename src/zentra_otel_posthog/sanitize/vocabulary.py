"""What words in a property key say about its value: data only, read by `keys`.

A phrase is one or more whole words, in the order in which a key has them. Its words written together
count as well (`account number` is found in `account_number`, `accountNumber` and `accountnumber`).
"""

from __future__ import annotations

from typing import Final


def words(text: str) -> frozenset[str]:
    """Return the words of `text`, which reads better than a column of quoted ones."""
    return frozenset(text.split())


# Any value under such a key is refused, but for booleans and values that are already masked.
OPAQUE: Final = {
    "password": (
        "password, passwd, pwd, pswd, passphrase, user pass, db pass, db password, smtp pass, security answer, secret "
        "answer, mot de passe, mdp, contrasena, clave acceso, clave de acceso, clave secreta, passwort, kennwort, "
        "senha, palavra passe, parola, wachtwoord, haslo"
    ),
    "secret": (
        "secret, token, id token, access token, refresh token, auth token, api token, device token, push token, api "
        "key, access key, private key, signing key, encryption key, master key, ssh key, service key, hmac key, "
        "webhook key, posthog key, auth key, session key, account key, subscription key, consumer key, license key, "
        "licence key, host key, bearer, jwt, credential, creds, authorization, authorisation, cookie, sessionid, "
        "sessid, phpsessid, session token, csrf, xsrf, csrftoken, mnemonic, seed phrase, seed words, recovery phrase, "
        "recovery code, backup code, signature, connection string, conn str, keystore, pem, otpauth, totp seed, "
        "client assertion, code verifier, jeton, cle api, cle privee, clave api, clave privada, chave api, chave "
        "privada, chave secreta, geheimnis"
    ),
    "address": (
        "address, addr, street, street name, place of birth, birth place, house number, house no, apartment, "
        "addressline, residence, domicile, adresse, anschrift, strasse, direccion, domicilio, calle, endereco, "
        "morada, logradouro, indirizzo, adireshi, adiresi, rue, landmark, what3words, lieu de naissance, lugar de "
        "nacimiento, geburtsort"
    ),
    "name": (
        "cardholder, surname, firstname, lastname, middlename, fullname, othername, forename, fname, lname, mname, "
        "nickname, username, login name, name on card, embossed name, embossing name, signatory, nom, prenom, nombre, "
        "apellido, apellidos, nome, sobrenome, cognome, vorname, nachname, familienname, naam, suna, oruko, titular, "
        "titulaire, kontoinhaber, name first, name last, name given, name family, mother maiden, mothers maiden"
    ),
}

# A value under such a key is refused unless it cannot be what the key says: a plain word ("not provided"), and
# for what consists of digits, one with too few of them.
NAMED: Final = {
    "pan": (
        "pan, card number, card no, card num, cc number, cc num, cc no, credit card, debit card, primary account "
        "number, number of card, kartennummer, kreditkarte, kreditkartennummer, numero carte, numero de carte, carte "
        "bancaire, numero tarjeta, numero de tarjeta, numero cartao, numero do cartao"
    ),
    "password": "pass, clave",
    "birth_date": (
        "dob, birth, date of birth, birthday, birthdate, born, naissance, date de naissance, nacimiento, fecha de "
        "nacimiento, nascimento, data de nascimento, geburtsdatum, geburtstag, geboortedatum, ranar haihuwa, ojo ibi, "
        "yob"
    ),
    "cvv": (
        "cvv, cvc, csc, cvn, cav, cvd, security code, card code, "
        "card verification, verification value, codigo seguridad, codigo de seguridad, codigo seguranca, "
        "codigo de seguranca, code securite, code de securite, cryptogramme, sicherheitscode, prufziffer, pruefziffer"
    ),
    "pin": "pin, mpin, tpin, pin block",
    "otp": (
        "otp, totp, hotp, one time code, one time password, one time pin, passcode, verification code, 2fa, twofa, "
        "mfa code, tfa code, auth code, login code, sms code, confirmation code, activation code, confirm code, "
        "verify code, challenge code, tan code, magic code, two factor, codigo verificacion, codigo de verificacion, "
        "codigo verificacao, codigo de verificacao, codigo confirmacion, codigo de confirmacion, code verification, "
        "code de verification, code de confirmation, bestatigungscode, verifizierungscode, einmalpasswort"
    ),
    "track": "track data, track 1, track 2, track 3, magstripe, emv, chip data, icc data",
    "iban": "iban",
    "bank_account": (
        "nuban, account number, account no, account num, acc number, acc no, acct no, acct, bank account, credit "
        "account, debit account, source account, destination account, beneficiary account, virtual account, payout "
        "account, settlement account, recipient account, receiver account, sender account, from account, to account, "
        "wallet number, dda number, bban, clabe, kontonummer, kontonr, bankkonto, numero de compte, compte, numero "
        "cuenta, numero de cuenta, cuenta bancaria, numero conta, numero da conta, conta bancaria"
    ),
    "sort_code": "sort code",
    "routing_number": (
        "routing number, routing no, routing num, aba, rtn, transit number, ach routing, wire routing, bank routing"
    ),
    "ssn": "ssn, social security, social insurance number",
    "itin": "itin",
    "ein": "ein, fein, employer id, employer identification, business tax id, federal tax id",
    "bvn": "bvn, bank verification no, bank verification",
    "nin": "nin, national identification number, national identity number, nimc, nin slip",
    "vnin": "vnin, virtual nin",
    "tin": (
        "tin, tax id, tax identification, tax identification number, tax number, tax no, taxpayer, firs tin, jtb tin, "
        "steuernummer, numero fiscal, identificacion fiscal, contribuinte, vat number, vat no"
    ),
    "passport": "passport, passeport, pasaporte, passaporte, reisepass, mrz",
    "voter_card": "voter, voters, vin, pvc, voter id",
    "driving_licence": (
        "drivers license, driver license, drivers licence, driver licence, driving licence, driving license, frsc, dl "
        "number, dl no, licence number, license number, licence no, license no, driving permit, fuhrerschein, "
        "fuehrerschein, permis conduire, permis de conduire, permiso conducir, permiso de conducir, licencia "
        "conducir, licencia de conducir, carta conducao, carta de conducao, cnh"
    ),
    "national_id": (
        "national id, national identity, id number, id no, id card, id card number, identity number, "
        "identity card, identification number, document number, document no, doc number, government id, "
        "govt id, ghana card, aadhaar, aadhar, nric, cpf, cnpj, curp, dni, nif, cedula, personalausweis, "
        "sozialversicherungsnummer, seguridad social, seguranca social, securite sociale, nir, codice fiscale, pesel, "
        "nino, ni number, national insurance, id value"
    ),
    "email": ("email, mail address, email id, correo, correo electronico, courriel, adresse mail, imel, imeeli"),
    "phone": (
        "phone, phoneno, mobile, mobileno, telephone, tel, telno, msisdn, whatsapp, cell, cellphone, gsm, fax, "
        "contact number, contact no, telefono, telefone, telefon, telefonnummer, handy, handynummer, mobilnummer, "
        "rufnummer, celular, telemovel, movil, portable, lambar waya, wayar, foonu, ekwenti, phonenum, recipient "
        "number, from number, to number, calling number, caller id"
    ),
    "ip": (
        "ip, ipv, ipaddr, ipaddress, remote addr, x forwarded for, forwarded for, x real ip, peer addr, "
        "client address, network peer address, adresse ip, direccion ip"
    ),
    "mac": "mac, mac address, bssid, mac addr, wifi mac, hwaddr",
    "device_id": (
        "imei, imsi, iccid, meid, idfa, idfv, gaid, aaid, adid, advertising id, advertising identifier, "
        "advertiser id, ifa, maid, android id, device id, device uuid, device serial, serial number, udid, "
        "hardware id, installation id, device identifier, oaid, push id"
    ),
    "coordinates": (
        "lat, latitude, lon, lng, longitude, latlng, latlong, latlon, coordinates, coordinate, coords, gps, geo "
        "point, geo location, geohash, latitud, longitud, coordenadas, coordonnees, koordinaten, breitengrad, "
        "langengrad, plus code"
    ),
    "postcode": "postcode, postal, zip, zipcode, plz, postleitzahl, cep, eircode",
    "crypto_address": (
        "wallet address, crypto address, btc address, eth address, usdt address, deposit address, "
        "blockchain address, contract address, trc20 address, erc20 address"
    ),
    "card_expiry": (
        "card expiry, card expiration, card exp, valid thru, exp month, exp year, expiry month, expiry year, "
        "expiration month, expiration year, caducidad tarjeta, vencimiento tarjeta, validade cartao"
    ),
}

# A value under such a key is refused only where it looks like what the key may mean.
HINTS: Final = {
    "pan": "card, karte, carte, tarjeta, cartao, instrument, funding source",
    "cvv": "cid",
    "track": "track",
    "device_id": "ad identifier, device",
    "bank_account": "account, acc, beneficiary, recipient, conta, cuenta, konto, destination",
    "routing_number": "routing",
    "ssn": "social",
    "card_expiry": (
        "expiry, exp, expiration, exp date, expiry date, expiration date, expires, caducidad, fecha de caducidad, "
        "date expiration, date d expiration, validade, ablaufdatum, gultig bis"
    ),
    "crypto_address": "wallet, withdrawal destination, payout destination",
    "driving_licence": "licence, license, dl",
    "phone": "contact, caller, recipient, beneficiary",
    "coordinates": "location, geo, position, ubicacion, localizacao, localisation, standort",
    "person": (
        "beneficiary, recipient, receiver, sender, payee, payer, customer, guarantor, next of kin, kin, nok, "
        "director, shareholder, referee, contact, holder, account holder, drawer, remitter, originator, "
        "depositor, person, employee, to, from, signer, approver, requester, owner, created by, updated by, "
        "approved by, initiated by, assigned to, inhaber, beneficiaire, beneficiario, "
        "destinataire, destinatario, empfanger, empfaenger, absender, remitente, remetente, expediteur"
    ),
    "session": "session, sid",
    "grant": "code, ticket, assertion, sig, auth",
}

# The word before "name" that makes it a person's; any other makes it a thing's, a bank's, a merchant's.
PERSONS: Final = words(
    "first last middle full given family maiden other sur fore customer user holder account acct accountholder "
    "beneficiary recipient receiver sender payee payer originator remitter debtor creditor director shareholder "
    "signatory owner guarantor kin nextofkin nok contact employee staff student patient mother mothers father "
    "fathers spouse parent referee preferred birth officer person individual subscriber drawer depositor "
    "nominee child borrower tenant rider passenger cardholder real insured member applicant shipping billing "
    "buyer dependant dependent husband wife nick invitee mothermaiden mothersmaiden witness notary attorney solicitor "
    "lawyer doctor landlord traveller traveler visitor assignee heir executor"
)
MAYBE_PERSONS: Final = words(
    "legal display profile registered trustee official verified bvn nin kyc card driver partner client agent "
    "destination counterparty caller referrer seller"
)

# After the last telling word, these say that the value is about the thing and is not the thing itself.
ABOUT: Final = words(
    "verified verification verify status state type kind four hash hashed sha md5 md count counts cnt "
    "total score scores result results check checked checks checksum match matched matches mismatch valid "
    "validity invalid validated provided present set enabled disabled required requested sent received "
    "confirmed changed change updated created linked link method channel provider vendor source template "
    "version format length len size attempt attempts retries retry tries strength policy ttl timeout age "
    "country currency brand scheme network tier level risk flag os model domain category class mode reason "
    "error errors failure failed success consent permission permissions preference shown used usage limit rate "
    "ratio pct percent ms ns us ts at seconds minutes hours days bank issuer bin iin product design quality "
    "confidence similarity enquiry lookup step stage screen page form field label strategy masked redacted "
    "encrypted tokenized pseudonym region city lga province continent timezone offset locale language index "
    "position rank algorithm alg scope scopes audience issued expired expiry expires expiration delivered "
    "opened clicked bounced campaign offer event banner button tab section opt feature experiment variant frequency "
    "latency duration time amount balance fee minor major volume exists missing available supported unique "
    "duplicate blocked blacklisted locked unlocked reset rule rules regex pattern entropy accuracy radius "
    "precision granted denied completed pending approved rejected submitted reviewed toggled view viewed views "
    "visible hidden carrier operator prefix service sync app platform fingerprint configured ok band bucket "
    "range bracket group cohort segment decade asn org proxy vpn tor reputation kid exp iat nbf name store "
    "manager engine backend storage vault symbol standard decimals price supply site url uri endpoint proof "
    "evidence area"
)

# "Address" of these is one in a network or in memory, and is judged by its content alone.
NOT_POSTAL: Final = words(
    "server host net network source destination local socket sock listen bind memory http url base"
)

# "Nombre", "nom" and "nome" of these is a thing's.
THINGS: Final = words(
    "banco banque banca comercio commerce loja tienda magasin empresa entreprise producto produto "
    "produit plan plano archivo fichier arquivo evento evenement campana campanha campagne servicio servico service "
    "aplicacion app ciudad ville cidade pais pays moneda"
)

# A position of these is none on earth.
NOT_PLACES: Final = words(
    "scroll cursor caret mouse pointer queue list row column page line stack playback video audio seek market open "
    "net price trading stock portfolio"
)

# What expires under these words is not a card.
NOT_CARDS: Final = words(
    "token session otp link cache cookie key document offer subscription plan licence license password code "
    "quote rate invite hold promo coupon consent lock window experiment shard url lease certificate cert "
    "reservation trial voucher points message job order request"
)

# A token of these is a position in a list.
CURSORS: Final = words("page next previous prev continuation pagination sync cursor resume")

# Words that tell nothing, but that keys glue to those that do ("newpassword").
FILLERS: Final = words(
    "refresh access residential permanent mailing delivery registered new old current confirm confirmed repeat "
    "login transaction transfer ussd atm webhook web app api bank server db database smtp admin root main "
    "primary secondary backup home work office private personal raw full the user nummer numero number "
    "completo complet cliente client kunde"
)

# An identifier of the thing (not the thing): accepted where it looks like one.
REFERENCES: Final = words("id ids ref reference uuid guid ulid")

# What may follow a hint.
ENDINGS: Final = REFERENCES | words(
    "number no num value text info details raw input data of de do da card karte carte tarjeta cartao"
)

# What a key's word says about the type of an innocent value.
AMOUNTS: Final = words(
    "amount amounts balance total fee fees limit price minor major volume tax cost refund sum delta principal "
    "interest revenue spend spent charges discount commission levy turnover quota kobo cents naira gross count "
    "counts index offset rank size length score scores rate ratio pct percent confidence partition sequence seq "
    "port bytes quantity qty attempts retries"
)
MOMENTS: Final = words(
    "at ts timestamp time date epoch unix nano nanos ns us ms micros millis since until month day year week "
    "hour duration elapsed latency ttl seconds minutes s"
)
VERSIONS: Final = words("version versions release build firmware revision sdk runtime section clause chapter oid")
DIGESTS: Final = words("hash commit sha sha1 sha256 sha512 md5 digest checksum fingerprint etag revision crc")
TRACES: Final = words(
    "trace span traceparent traceid spanid parentid parentspanid threadid snowflake snowflakeid messageid pid "
    "parentspan"
)
CODES: Final = words(
    "rrn stan mcc imad omad cusip isin sedol lei sku ean gtin upc barcode isbn bin iin merchantcategory "
    "terminal terminalid tid nipsession nibsssession tracenumber achtrace bankcode branchcode"
)
